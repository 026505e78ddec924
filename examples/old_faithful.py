"""Fit two Gaussians to the eruptions of Old Faithful, print the fit and draw it.

python examples/old_faithful.py old_faithful.png
"""

import sys

import latentcore
from latentcore import datasets, plots


def main(picture: str) -> None:
    eruptions = datasets.load_old_faithful()
    model = latentcore.GaussianMixture(n_components=2, tol=1e-8, random_state=0)
    model.fit(eruptions.data)
    print(model.summary())

    long_wait = model.means_[:, 1].argmax()
    share = (model.predict(eruptions.data) == long_wait).mean()
    print(f"\n{share:.0%} of the eruptions belong to the component with the longer wait")

    plots.fit_figure(model, eruptions.data).savefig(picture, dpi=150)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/old_faithful.py PICTURE.png")
    main(sys.argv[1])
