"""Networks: MaskFormer (Sec. 3.2) with its backbone, pixel decoder and transformer, and SimNet (Sec. 3.4)."""
