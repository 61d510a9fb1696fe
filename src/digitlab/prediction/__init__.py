"""Pictures and a network -> answers.

`default_model` trains the network that answers where none is named, on `distortion`'s copies of MNIST's
digits, and keeps it (`keeping`); `choice` finds another, in a file or of a run. `model` is a network with its
`calibration` and with what is `typical` of its images. `answers` puts a model and a Reading of
`digitlab.vision` together; `sources` says where pictures come from.
"""

from digitlab.prediction.answers import Answer, Prediction, predict
from digitlab.prediction.choice import chosen_model
from digitlab.prediction.model import Model
from digitlab.prediction.sources import predictions, sources

__all__ = ["Answer", "Model", "Prediction", "chosen_model", "predict", "predictions", "sources"]
