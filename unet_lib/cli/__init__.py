"""The library from a shell: `python -m unet_lib train | predict | evaluate | export | ...`."""
