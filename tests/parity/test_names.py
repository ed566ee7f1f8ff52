"""Official name -> ours -> Hugging Face's is the same as the direct way, whose result equals the official logits."""

import torch

from simformer.config.settings import ModelSettings
from simformer.models.checkpoint_names import official_name
from simformer.models.maskformer import MaskFormer
from tests.parity.hf_names import OFFICIAL_RULES, to_hugging_face


def test_both_ways_to_hugging_face_meet():
    with torch.device("meta"):
        state = MaskFormer(171, ModelSettings()).state_dict()
    targets = [
        (list(to_hugging_face({name: t})), list(to_hugging_face({official_name(f"model.{name}"): t}, OFFICIAL_RULES)))
        for name, t in state.items()
    ]
    assert len(targets) == 409
    assert [ours for ours, _ in targets] == [direct for _, direct in targets]
