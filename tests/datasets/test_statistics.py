import numpy as np

from firsthand.datasets.statistics import QUANTILES, column_stats, picture_histogram, picture_stats


def test_column_statistics_agree_with_numpy_and_survive_large_times() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(size=500), 1.7e18 + rng.integers(0, 1000, 500) * 1e9], 1)
    stats = column_stats(values)
    np.testing.assert_allclose(stats["std"], values.std(0), rtol=1e-6)
    np.testing.assert_allclose(stats["q10"], np.quantile(values, 0.1, axis=0))
    assert stats["count"].tolist() == [500]


def test_picture_statistics_from_histograms_are_those_of_all_pixels_in_rgb_order() -> None:
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 200, (4, 20, 30, 3)).astype(np.uint8)
    pictures[..., 0] //= 4  # blue is darkest
    stats = picture_stats(sum(picture_histogram(p) for p in pictures), len(pictures))
    pixels = pictures[..., ::-1].reshape(-1, 3) / 255.0
    for name, want in (("min", pixels.min(0)), ("max", pixels.max(0)), ("mean", pixels.mean(0)), ("std", pixels.std(0))):
        assert stats[name].shape == (3, 1, 1)
        np.testing.assert_allclose(stats[name].ravel(), want, atol=1e-12)
    for name, q in QUANTILES.items():
        np.testing.assert_allclose(stats[name].ravel(), np.quantile(pixels, q, axis=0, method="inverted_cdf"), atol=1e-12)
    assert stats["count"].tolist() == [4]
