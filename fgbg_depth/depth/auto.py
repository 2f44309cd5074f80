"""Makes DenseDepth known to the Auto classes of `transformers`; importing this module does it, once."""

from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

from fgbg_depth.depth.configuration import DenseDepthConfig
from fgbg_depth.depth.image_processing import DenseDepthImageProcessor
from fgbg_depth.depth.modeling import DenseDepthForDepthEstimation

__all__ = ["DenseDepthConfig", "DenseDepthForDepthEstimation", "DenseDepthImageProcessor"]

AutoConfig.register(DenseDepthConfig.model_type, DenseDepthConfig, exist_ok=True)
AutoModelForDepthEstimation.register(DenseDepthConfig, DenseDepthForDepthEstimation, exist_ok=True)
AutoImageProcessor.register(
    DenseDepthConfig, slow_image_processor_class=DenseDepthImageProcessor, exist_ok=True
)
