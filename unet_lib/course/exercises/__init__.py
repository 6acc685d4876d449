"""Checks for the exercises, a module a chapter (from chapter 1 on): they print what is not right.

>>> from unet_lib.course.exercises.chapter01 import check_painting
>>> check_painting([])
Not yet: the grid is empty. Its first number is 1 times the kernel's first.
"""
