"""Which files a package of Atelier has; all else about it stands in pyproject.toml.

The shipped models lie beside `app` in a checkout and inside it in a package: `app.shipped` unpacks them there.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["app", "app.*"]), "app.models"],
    package_dir={"app.models": "models"},
    py_modules=["image_generation_service"],
    package_data={
        "app": ["locales/*.json"],
        "app.catalog": ["styles.json"],
        "app.diffusion": ["layouts/**/*"],
        "app.migrations": ["versions/*.py"],
        "app.models": ["catalog.toml", "*.words.json", "pocket/**/*", "pocket-captioner/*", "pocket-upscaler/*"],
        "app.ui": ["static/*", "static/samples/*"],
    },
)
