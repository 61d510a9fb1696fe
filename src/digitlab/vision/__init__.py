"""Any picture of digits -> the images of 28 x 28 that MNIST's makers would have made.

`decoding` makes a Picture of a file's bytes; `paper` says how far each pixel is from its paper, whatever the
colours and the light; `rules` finds printed lines, `ink` leaves pen alone; `segmentation` cuts it into
digits, or says why there are none; `strokes` widens thin pens; `mnist` does what MNIST's makers did. All that
came on the way is kept in a Reading, and drawn by `explanation`. No step knows any network.
"""

from digitlab.vision.decoding import clipboard_picture, decode, pictures_in, read_picture, read_stream
from digitlab.vision.reading import Box, Contrast, Found, Ink, Picture, Reading
from digitlab.vision.steps import read_digits

__all__ = [
    "Box",
    "Contrast",
    "Found",
    "Ink",
    "Picture",
    "Reading",
    "clipboard_picture",
    "decode",
    "pictures_in",
    "read_digits",
    "read_picture",
    "read_stream",
]
