"""Tiny networks under names of timm: its families, small enough for tests on a CPU."""

# isort: off
import simformer.models.torchvision_ops  # noqa: F401  (before timm, which imports torchvision)
import timm
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

__all__ = ["timm"]

default_cfgs = generate_default_cfgs(
    {
        name: {
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "num_classes": 0,
            "classifier": head,
            "input_size": (3, 56, 56),
        }
        for name, head in {"tiny_vit_patch14.none": "head", "tiny_swin.none": "head.fc"}.items()
    }
)


@register_model
def tiny_vit_patch14(pretrained=False, **options):
    """A ViT with DINOv2's patches and LayerScale: four blocks of width 32, 4 x 4 position embeddings."""
    sizes = {"img_size": 56, "patch_size": 14, "embed_dim": 32, "depth": 4, "num_heads": 2, "init_values": 1e-5}
    return build_model_with_cfg(
        VisionTransformer, "tiny_vit_patch14", pretrained, feature_cfg={"feature_cls": "getter"}, **sizes, **options
    )


@register_model
def tiny_swin(pretrained=False, **options):
    """A Swin of widths 16 to 128 with windows of 7 x 7 cells."""
    sizes = {"img_size": 224, "embed_dim": 16, "depths": (2, 1, 2, 1), "num_heads": (1, 2, 4, 8)}
    return build_model_with_cfg(SwinTransformer, "tiny_swin", pretrained, **sizes, **options)
