"""Annotated data sets: pictures with their labels, as COCO and others write them."""

from adapters.sources.annotated.coco import CocoAdapter
from adapters.sources.annotated.createml import CREATEML
from adapters.sources.annotated.cvat import CvatAdapter
from adapters.sources.annotated.datumaro import DATUMARO
from adapters.sources.annotated.fiftyone import FIFTYONE
from adapters.sources.annotated.label_studio import LABEL_STUDIO
from adapters.sources.annotated.labelme import LABELME
from adapters.sources.annotated.open_images import OpenImagesAdapter
from adapters.sources.annotated.voc import VocAdapter
from adapters.sources.annotated.yolo import YoloAdapter

ADAPTERS = (
    *(CocoAdapter(), YoloAdapter(), VocAdapter(), LABELME, CvatAdapter()),
    *(LABEL_STUDIO, DATUMARO, OpenImagesAdapter(), FIFTYONE, CREATEML),
)
