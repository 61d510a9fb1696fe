"""The catalogue: every data set that digitlab knows by name. To add one, add one entry to CATALOG."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field, field_validator

from digitlab.data.idx import Kind
from digitlab.spec import Count, DataSpec, Digest, Name
from digitlab.validation import Document, Part, in_form, refuse

FileRole = Literal["train_images", "train_labels", "test_images", "test_labels"]
FILE_NAMES: dict[FileRole, str] = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""The four files of a data set, as MNIST's makers named them (compressed: with `.gz` behind)."""


def file_kind(role: FileRole) -> Kind:
    """What the file of a role holds."""
    return "images" if role.endswith("images") else "labels"


ImagePart = Literal["train", "test"]
WRITER_FILES: dict[ImagePart, str] = {
    "train": "qmnist-train-labels-idx2-int",
    "test": "qmnist-test-labels-idx2-int",
}
"""The two files that say who wrote the images, as QMNIST's makers named them."""


Text = Annotated[str, in_form(r"[^\x00-\x1f\x7f-\x9f]*", "one line without control characters")]
"""A line without control characters: it is shown in terminals."""


class WriterLabels(Part):
    """What is known of the files that say who wrote the images: no part of the data set, nor of its digest.

    payload_sha256: SHA-256 of each of the two IDX files, uncompressed, of as many rows as there are images
    mirrors:        addresses to which WRITER_FILES + ".gz" is appended, tried in this order
    """

    title: Text
    payload_sha256: dict[ImagePart, Digest]
    licence: Text
    citation: Text
    mirrors: Annotated[tuple[Text, ...], Field(strict=False)] = ()

    @field_validator("payload_sha256")
    @classmethod
    def _has_two_digests(cls, digests: dict[ImagePart, str]) -> dict[ImagePart, str]:
        if set(digests) != set(WRITER_FILES):
            refuse(f"must hold a digest for each of {', '.join(WRITER_FILES)}")
        return digests


class DatasetEntry(Document):
    """What is known of a data set before it is read, and the digests that verify it.

    class_names:    name of each class, [class]
    train_images, test_images: number of images
    payload_sha256: SHA-256 of each of the four IDX files, uncompressed (packers differ, payloads do not)
    mirrors:        addresses to which FILE_NAMES + ".gz" is appended, tried in this order
    writers:        where it can be had who wrote the images; None: that is not known
    """

    LEFT_OUT_AT_DEFAULT = frozenset({"writers"})

    name: Name
    title: Text
    class_names: Annotated[tuple[Text, ...], Field(strict=False, min_length=2, max_length=256)]
    train_images: Count
    test_images: Count
    payload_sha256: dict[FileRole, Digest]
    licence: Text
    citation: Text
    homepage: Text = ""
    mirrors: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    writers: WriterLabels | None = None

    @field_validator("payload_sha256")
    @classmethod
    def _has_four_digests(cls, digests: dict[FileRole, str]) -> dict[FileRole, str]:
        if set(digests) != set(FILE_NAMES):
            refuse(f"must hold a digest for each of {', '.join(FILE_NAMES)}")
        return digests

    @property
    def sha256(self) -> str:
        """One digest for the whole data set: SHA-256 of the four payload digests, a line each."""
        digests = "".join(f"{self.payload_sha256[role]}\n" for role in FILE_NAMES)
        return hashlib.sha256(digests.encode()).hexdigest()

    @property
    def data_spec(self) -> DataSpec:
        """What a RunSpec says of this data set."""
        return DataSpec(
            name=self.name, sha256=self.sha256, train_images=self.train_images, classes=len(self.class_names)
        )

    def item_count(self, role: FileRole | ImagePart) -> int:
        """How many images or labels the file of this role, or of this part, holds."""
        return self.train_images if role.startswith("train") else self.test_images


_ENTRIES = (
    DatasetEntry(
        name="mnist",
        title="MNIST handwritten digits",
        class_names=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
        train_images=60_000,
        test_images=10_000,
        payload_sha256={
            "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        licence="CC BY-SA 3.0, as stated by the documentation of Keras",
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document "
        "recognition, Proceedings of the IEEE 86(11), 2278-2324, 1998",
        homepage="https://yann.lecun.com/exdb/mnist/",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        writers=WriterLabels(
            title="QMNIST's extended labels of MNIST's images",
            payload_sha256={
                "train": "bb1b6e1ec7b04fd5696f1ed50b5f58f8ef195118edd5c93c81783df9740b8ac5",
                "test": "4e7739c547840d45060872eccb7e1dd8f7c1744f992ae62e8e2ce7af1ba6ef9f",
            },
            licence="BSD 3-clause, Facebook, Inc.",
            citation="C. Yadav and L. Bottou, Cold Case: The Lost MNIST Digits, NeurIPS 2019, "
            "arXiv 1905.10498",
            mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
        ),
    ),
    DatasetEntry(
        name="fashion-mnist",
        title="Fashion-MNIST articles of clothing",
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        train_images=60_000,
        test_images=10_000,
        payload_sha256={
            "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        licence="MIT, Zalando SE",
        citation="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking "
        "machine learning algorithms, arXiv 1708.07747, 2017",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
    ),
)

CATALOG: dict[str, DatasetEntry] = {entry.name: entry for entry in _ENTRIES}
