"""What the doctor can name in networks and their training; data's causes are in data_causes.py."""

from unet_lib.doctor.data_causes import Cause

RUN_CAUSES = {
    # network
    "model-rejects-pictures": Cause(
        "training stops at the first batch",
        "a network that takes these images",
        "do as the message says",
    ),
    "wrong-classes": Cause(
        "the loss complains about shapes or classes, or some classes are never predicted",
        "as many output channels as the task has classes (1 for foreground)",
        "make the network with out_channels=task.out_channels",
    ),
    "not-finite-weights": Cause(
        "the prediction is NaN, shown black",
        "finite weights",
        "train again with a tenth of the learning rate, in float32; load the last good checkpoint",
    ),
    "frozen": Cause(
        "the loss stays exactly where it was",
        "parameters that require gradients",
        "thaw what you want to train: parameter.requires_grad_(True)",
    ),
    "optimizer-misses-parameters": Cause(
        "the loss does not move, although gradients flow",
        "every trainable parameter of this model in the optimizer",
        "make the optimizer after the model is final (moved, replaced head, loaded), from "
        "model.parameters()",
    ),
    "dead-layer": Cause(
        "the prediction is one flat value for every image",
        "activations in every layer",
        "initialize the layer again (never with zeros or a large negative bias), lower the rate",
    ),
    "probabilities-in-loss": Cause(
        "learning is slow and never becomes sure: the loss stays above 0.3",
        "logits, any real numbers",
        "take the sigmoid or softmax out of the model; the losses contain it, probabilities() "
        "adds it when predicting",
    ),
    "batch-of-one": Cause(
        "the loss jumps, and the network is good in training and poor in eval mode",
        "at least 4 images a batch for BatchNorm",
        'choose norm="group", which chapters 9a and 9b compare with BatchNorm, or put more and '
        "smaller parts into a batch",
    ),
    # training
    "rate-too-high": Cause(
        "the loss jumps, becomes NaN, or settles at one class everywhere",
        "a loss that falls on a single batch at this rate",
        "divide the learning rate by ten until it falls; learning_rate_range_test shows where",
    ),
    "rate-too-low": Cause(
        "the loss falls as slowly as grass grows",
        "a loss that falls on a single batch at this rate",
        "multiply the learning rate by ten; learning_rate_range_test shows where it ends",
    ),
    "cannot-learn": Cause(
        "the loss does not fall on a single batch, at any rate",
        "a batch that can be learned by heart",
        "look at the batch with plots.show_pairs, and begin with unet_lib's own model and loss",
    ),
    # outcome
    "batchnorm-statistics": Cause(
        "good while training, black in eval mode",
        "nearly the same score with stored and with batch statistics",
        "train longer or with a larger batch, BatchNorm's momentum at 0.1; after changing weights "
        "by hand run a few batches in training mode",
    ),
    "predicts-in-training-mode": Cause(
        "the mask of an image depends on which others are in the batch",
        "the same mask alone and in any batch",
        "call model.eval() before predicting (unet_lib.evaluation.tiles does)",
    ),
    "logits-as-probabilities": Cause(
        "objects come out too small, or some not at all",
        "probability > 0.5, which is logit > 0",
        "threshold probabilities(logits), not the logits",
    ),
    "argmax-of-one-channel": Cause(
        "your own mask is black (argmax) or white (softmax), whatever the network says",
        "probability > 0.5 where there is one output channel",
        "threshold probabilities(logits); argmax and softmax compare channels, and need at least 2",
    ),
    "weights-not-loaded": Cause(
        "the history is good, and the predictions are those of an untrained network",
        "the weights that were trained",
        'load them with strict=True, after taking a prefix such as "module." off their names; '
        "strict=False passes over every name that does not fit",
    ),
    "channel-order": Cause(
        "good in training, poor in use, on the same kind of images",
        "channels in the order that the network was trained with",
        "OpenCV reads BGR: turn it with image[..., ::-1], or read with read_image",
    ),
    "rare-foreground": Cause(
        "the prediction is black, the accuracy excellent",
        "objects in the prediction",
        "choose the threshold on validation images; then compare Dice in the loss (bce_dice_loss), "
        "a weight for the foreground and parts cut around objects (random_crop, objects=1/3), "
        "several seeds each",
    ),
    "one-class": Cause(
        "the prediction is one class everywhere",
        "more than one class where the truth has more",
        "train longer, try another rate and seed; look at the batches with plots.show_pairs",
    ),
    "overfitting": Cause(
        "training improves while validation gets worse",
        "a validation loss that follows the training loss",
        "keep the best epoch, stop early (patience), augment, add images; a smaller network only "
        "if it scores better on validation images",
    ),
    "label-noise": Cause(
        "after a short training a few images score far below the others, in training as well",
        "a network that agrees with all masks about equally",
        "look at these images first: missing or doubled objects, another image's mask",
    ),
    "unreadable-checkpoint": Cause(
        "a run cannot be used or continued",
        "a checkpoint of this library",
        "take best.pt or an older copy, or train again",
    ),
}
