"""One description for colcon (ament_python) and pip; pyproject.toml holds tool settings only."""

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "liquid_control"
SHARE = Path("share") / PACKAGE
HOME = "https://liquid-control.org"
SOURCE = f"{HOME}/source"  # and the path of a file
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.28"]


def share_files(*patterns: str) -> list[tuple[str, list[str]]]:
    """Data files below the share folder, in the same folders as in the repository."""
    folders: dict[str, list[str]] = {}
    for pattern in patterns:
        for path in sorted(Path(".").glob(pattern)):
            if path.is_file():
                folders.setdefault(str(SHARE / path.parent), []).append(str(path))
    return sorted(folders.items())


def version() -> str:
    """That of the package, which is not imported: it may not be installed yet."""
    text = Path(PACKAGE, "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+?)"', text, re.MULTILINE).group(1)


def long_description() -> str:
    """The README, whose links lead to the files of the repository from wherever it is shown."""
    text = Path("README.md").read_text(encoding="utf-8")
    return re.sub(r"\]\((?!https?:|#)", f"]({SOURCE}/", text)


setup(
    name=PACKAGE,
    version=version(),
    description="Liquid neural networks (CfC, NCP) that fly quadrotors",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    url=HOME,
    project_urls={
        "Documentation": f"{HOME}/docs",
        "Source": SOURCE,
        "Changelog": f"{SOURCE}/CHANGELOG.rst",
    },
    license="Apache-2.0",
    license_files=["LICENSE"],
    author="liquid_control authors",
    maintainer="liquid_control maintainers",
    maintainer_email="maintainers@liquid-control.org",
    keywords=[
        "liquid neural networks",
        "closed-form continuous-time",
        "neural circuit policies",
        "quadrotor",
        "drone",
        "flight control",
        "robotics",
        "ROS 2",
        "reinforcement learning",
        "simulation",
        "onnx",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed"], f"{PACKAGE}.evaluation.page": ["*.css", "*.js"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (str(SHARE), ["package.xml"]),
        (f"lib/{PACKAGE}", ["scripts/controller", "scripts/recorder", "scripts/simulator"]),
        *share_files("config/**/*", "sim_worlds/**/*", "launch/*.py"),
    ],
    python_requires=">=3.10",
    install_requires=[
        "numpy>=1.24",
        "pyyaml>=6",
        "pydantic>=2.5",
        "onnxruntime>=1.17",
        "rich>=13",
        "argcomplete>=3.1",
    ],
    extras_require={
        "sim": ["pybullet>=3.2.5", "numba>=0.57"],
        "ros": [
            "ros-kilted-rclpy",
            "ros-rmw-fastrtps-cpp",
            "pillow>=10.1",  # images of other sizes, and compressed ones
            "mcap>=1.2",
            "mcap-ros2-support>=0.5",
            "ros-builtin-interfaces",
            "ros-diagnostic-msgs",
            "ros-geometry-msgs",
            "ros-lifecycle-msgs",
            "ros-nav-msgs",
            "ros-rcl-interfaces",
            "ros-rosgraph-msgs",
            "ros-sensor-msgs",
            "ros-std-msgs",
            "ros-trajectory-msgs",
        ],
        "train": [
            "torch>=2.4",
            "onnx>=1.16",
            "onnxscript>=0.1",
            "networkx>=3",
            "numba>=0.57",
            "torchdiffeq>=0.2.3",
            "scikit-learn>=1.3",
            "tensorboardX>=2.6.2",
        ],
        "report": [
            "matplotlib>=3.7",
            "plotly>=6.0",
            "pillow>=10.1",
            "imageio-ffmpeg",
            "onnx>=1.16",  # the saliency of a policy that sees
            "scipy>=1.10",
        ],
        "ray": ["ray>=2.9"],
        "gym": ["gymnasium>=1.1"],
        "peers": ["foundation-policy>=1.0.2"],
        "docs": DOCS,
        "test": [
            *DOCS,
            "foundation-policy>=1.0.2",
            "gymnasium>=1.1",
            "jsonschema>=4",
            "ncps>=1.0",
            "rotorpy>=2.0",
            "transforms3d>=0.4.1",
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.90",
            "ruff",
            "colcon-common-extensions",
        ],
    },
    entry_points={
        "console_scripts": [
            "liquid-control = liquid_control.cli:main",
        ],
    },
)
