"""A Keras generator and discriminator play gandem's game: Keras 3 models are PyTorch modules on its torch backend.

    pip install gandem[export] keras
    python examples/keras_networks.py --budget 2m --out runs/keras

Trains with R1 and R2 (second-order gradients through Keras layers), then takes the averaged generator out in two ways
and shows that they agree with the run: as a .keras file, reloaded under --backend (jax or tensorflow, if installed;
torch again if not said), and as ONNX.
"""

import argparse
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "torch")
LATENT = 64


def generator():
    """Latent (n, 64) to images (n, 1, 28, 28). Layers have names, so that a saved state finds them again."""
    from keras import Input, Sequential, layers

    def conv(filters, name):
        return layers.Conv2D(filters, 3, padding="same", activation="leaky_relu", name=name)

    return Sequential(
        [
            Input((LATENT,)),
            layers.Dense(7 * 7 * 64, activation="leaky_relu", name="first"),
            layers.Reshape((7, 7, 64)),
            layers.UpSampling2D(interpolation="bilinear"),
            conv(64, "at_14"),
            layers.UpSampling2D(interpolation="bilinear"),
            conv(32, "at_28"),
            layers.Conv2D(1, 3, padding="same", name="last"),
            layers.Permute((3, 1, 2)),  # gandem has channels first
        ],
        name="generator",
    )


def discriminator():
    """Images (n, 1, 28, 28) to logits (n, 1)."""
    from keras import Input, Sequential, layers

    def conv(filters, name):
        return layers.Conv2D(filters, 4, strides=2, padding="same", activation="leaky_relu", name=name)

    return Sequential(
        [
            Input((1, 28, 28)),
            layers.Permute((2, 3, 1)),
            conv(32, "to_14"),
            conv(64, "to_7"),
            layers.Flatten(),
            layers.Dense(1, name="logit"),
        ],
        name="discriminator",
    )


def reload(file: Path, backend: str, latents: np.ndarray) -> np.ndarray:
    """Return what a saved generator makes of latents in a fresh process, under another backend of Keras."""
    np.save(file.with_suffix(".latents.npy"), latents)
    code = (
        "import sys, keras, numpy as np; model = keras.saving.load_model(sys.argv[1], compile=False);"
        "made = keras.ops.convert_to_numpy(model(np.load(sys.argv[2]))); np.save(sys.argv[3], made)"
    )
    names = [str(file), str(file.with_suffix(".latents.npy")), str(file.with_suffix(".made.npy"))]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", code, *names], check=True, env=environment)
    return np.load(names[2])


def main() -> None:
    """Train, take out, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="2m")
    parser.add_argument("--out", type=Path, default=Path("runs/keras"))
    parser.add_argument("--backend", default="torch")
    options = parser.parse_args()
    import gandem
    from gandem import latents

    with resources.as_file(resources.files("gandem") / "data" / "fashion_4000.npz") as file:
        images = np.load(file)["images"]
    game = gandem.NoiseGame(generator(), discriminator(), LATENT, loss="relativistic", penalty="r1_r2", gamma=1.0)
    run = gandem.Trainer(game, images, options.out).fit(options.budget)
    print(run.report["evaluation"]["verdict"])

    noise = latents.draw(16, LATENT, seed=0)
    made = latents.generate(run.generator(), noise, None).numpy()
    run.generator().save(run.path / "generator.keras")
    again = reload(run.path / "generator.keras", options.backend, noise.numpy())
    print(f"reloaded under {options.backend}: largest difference {np.abs(again - made).max():.1e}")
    exported = gandem.export_onnx(run, run.path / "generator.onnx")
    print(f"as ONNX: largest difference {exported['max_difference']:.1e} over {exported['compared']} samples")


if __name__ == "__main__":
    main()
