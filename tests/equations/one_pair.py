"""The losses on pairs of images, called for a single pair."""

from simformer.config.settings import SimilaritySettings
from simformer.losses import sampling, similarity

RELEASE = SimilaritySettings()


def sample_points(region, count, generator):
    """Draw inside one region, [..., P]."""
    return sampling.sample_points(region[None], count, [generator])[0]


def sample_base_points(labels, padding, common_ids, settings, generator):
    """Draw the pixels of L_sim: labels and padding [2, P]."""
    return sampling.sample_base_points(labels[None], padding[None], [common_ids], settings, [generator])[0]


def sample_novel_points(labels, padding, settings, generator):
    """Draw the pixels of L_dist: labels and padding [2, P]."""
    return sampling.sample_novel_points(labels[None], padding[None], settings, [generator])[0]


def similarity_loss(features, labels, simnet, balance, settings=RELEASE, unknown=None):
    """L_sim of features [2, J, C], labels [2, J] and unknown classes [2, K+1], with a SimNet for one pair."""
    unknown = None if unknown is None else unknown[None]
    return similarity.similarity_loss(features[None], labels[None], _for_pairs(simnet), [balance], settings, unknown)[0]


def distillation_loss(scores, features, simnet, settings):
    """L_dist of scores [2, J, Kn] and features [2, J, C], with a SimNet for one pair."""
    return similarity.distillation_loss(scores[None], features[None], _for_pairs(simnet), settings)[0]


def _for_pairs(simnet):
    return lambda a, b: simnet(a[0], b[0])[None]
