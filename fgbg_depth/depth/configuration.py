"""The numbers that describe one DenseDepth network, as a `transformers` config.

The defaults are the published indoor model (variant `nyu`): a DenseNet-169 encoder, a decoder of width 1664
that halves at each of its four steps, no activation between the two convolutions of a step, and bilinear
upsampling with aligned corners. The same class also describes small networks: only the number of blocks
(four) is fixed.

Source of the design: Alhashim and Wonka, "High Quality Monocular Depth Estimation via Transfer Learning",
arXiv 1812.11941.
"""

import math

from transformers import PretrainedConfig

from fgbg_depth.errors import UsageError

SIZE_MULTIPLE_PX = 32  # five halvings in the encoder; a size that is no multiple doesn't meet its skip again
UPSAMPLING_MODES = ("align_corners", "half_pixel")  # as trained (TensorFlow 1), as TensorFlow 2 resizes
NUM_BLOCKS = 4  # dense blocks, and as many decoder steps: one skip for each


class DenseDepthConfig(PretrainedConfig):
    """Describes a `DenseDepthForDepthEstimation`.

    Args:
        num_init_features: channels after the first convolution.
        growth_rate: channels that each dense layer adds.
        bottleneck_size: a dense layer's inner width is this times `growth_rate`.
        block_config: number of dense layers in each of the four blocks.
        compression: part of the channels that a transition keeps, in (0, 1].
        batch_norm_eps: epsilon of every batch norm; Keras' DenseNet has 1.001e-5.
        encoder_relu: whether a relu follows the encoder's last batch norm (Keras before 2.2.4 had none).
        decoder_width: channels of the decoder's first (1 x 1) convolution; None: those of the encoder.
        decoder_channels: channels of the four decoder steps; None: `decoder_width` divided by 2, 4, 8, 16.
        leaky_slope: negative slope of the decoder's activation.
        activation_after_conv_a: whether the first convolution of a step has the activation too (the second
            always has).
        upsampling: `align_corners` or `half_pixel`.
        max_depth_m, min_depth_m: range of the output [metres]. The network predicts `max_depth_m / depth`.
        image_size: (height, width) at which the network was trained [pixels], multiples of 32; one number for
            a square.

    Raises:
        UsageError (a ValueError): a value is impossible.
    """

    model_type = "densedepth"

    def __init__(
        self,
        num_init_features=64,
        growth_rate=32,
        bottleneck_size=4,
        block_config=(6, 12, 32, 32),
        compression=0.5,
        batch_norm_eps=1.001e-5,
        encoder_relu=True,
        decoder_width=None,
        decoder_channels=None,
        leaky_slope=0.2,
        activation_after_conv_a=False,
        upsampling="align_corners",
        max_depth_m=10.0,
        min_depth_m=0.1,
        image_size=(480, 640),
        **kwargs,
    ):
        self.num_init_features = _whole("num_init_features", num_init_features)
        self.growth_rate = _whole("growth_rate", growth_rate)
        self.bottleneck_size = _whole("bottleneck_size", bottleneck_size)
        self.block_config = _wholes("block_config", block_config, NUM_BLOCKS)
        self.compression = _number("compression", compression, 0.0, 1.0)
        self.batch_norm_eps = _number("batch_norm_eps", batch_norm_eps, 0.0, 1.0)
        self.encoder_relu = _flag("encoder_relu", encoder_relu)
        if min(self.transition_channels) < 1:
            raise UsageError(
                f"DenseDepthConfig: compression {compression} leaves no channel after a transition "
                f"({self.transition_channels}). Use a larger compression or growth_rate."
            )
        if decoder_width is None:
            decoder_width = self.encoder_channels[-1]
        self.decoder_width = _whole("decoder_width", decoder_width)
        if decoder_channels is None:
            decoder_channels = [self.decoder_width // 2 ** (step + 1) for step in range(NUM_BLOCKS)]
            if decoder_channels[-1] < 1:
                raise UsageError(
                    f"DenseDepthConfig: decoder_width {self.decoder_width} can't be halved four times. "
                    "Expected at least 16, or give decoder_channels."
                )
        self.decoder_channels = _wholes("decoder_channels", decoder_channels, NUM_BLOCKS)
        self.leaky_slope = _number("leaky_slope", leaky_slope, -1.0, 1.0)
        self.activation_after_conv_a = _flag("activation_after_conv_a", activation_after_conv_a)
        if upsampling not in UPSAMPLING_MODES:
            raise UsageError(
                f"DenseDepthConfig: upsampling is {upsampling!r}. Expected one of {UPSAMPLING_MODES}."
            )
        self.upsampling = upsampling
        self.max_depth_m = _number("max_depth_m", max_depth_m, 0.0, math.inf)
        self.min_depth_m = _number("min_depth_m", min_depth_m, 0.0, self.max_depth_m)
        if self.min_depth_m == self.max_depth_m:
            raise UsageError(
                f"DenseDepthConfig: min_depth_m and max_depth_m are both {max_depth_m}. Expected a range."
            )
        self.image_size = _size(image_size)
        super().__init__(**kwargs)

    @property
    def encoder_channels(self):
        """Channels at the end of each of the four dense blocks, e.g. [256, 512, 1280, 1664]."""
        channels, ends = self.num_init_features, []
        for layers in self.block_config:
            if ends:
                channels = int(channels * self.compression)
            channels += layers * self.growth_rate
            ends.append(channels)
        return ends

    @property
    def transition_channels(self):
        """Channels after each of the three transitions, e.g. [128, 256, 640]."""
        return [int(channels * self.compression) for channels in self.encoder_channels[:-1]]


def _whole(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"DenseDepthConfig: {name} is {value!r}. Expected a whole number of at least 1.")
    return value


def _wholes(name, values, count):
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise UsageError(f"DenseDepthConfig: {name} is {values!r}. Expected {count} whole numbers.")
    return [_whole(f"{name}[{index}]", value) for index, value in enumerate(values)]


def _number(name, value, above, most):
    """A finite float with above < value <= most."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not above < value <= most:
        raise UsageError(
            f"DenseDepthConfig: {name} is {value!r}. Expected a number above {above}, at most {most}."
        )
    return float(value)


def _flag(name, value):
    if not isinstance(value, bool):
        raise UsageError(f"DenseDepthConfig: {name} is {value!r}. Expected true or false.")
    return value


def _size(value):
    values = [value, value] if isinstance(value, int) and not isinstance(value, bool) else value
    height_width = _wholes("image_size", values, 2)
    if any(side % SIZE_MULTIPLE_PX for side in height_width):
        raise UsageError(
            f"DenseDepthConfig: image_size is {value!r}. Expected (height, width), multiples of "
            f"{SIZE_MULTIPLE_PX} pixels."
        )
    return height_width
