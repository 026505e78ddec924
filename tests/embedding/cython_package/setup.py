from setuptools import Extension, setup

import latentcore

setup(
    ext_modules=[
        Extension(
            "downstream.normalize",
            ["downstream/normalize.pyx"],
            include_dirs=[latentcore.get_include()],
        )
    ]
)
