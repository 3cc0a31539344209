"""Annotated data sets: pictures with their labels, as COCO and others write them."""

from adapters.sources.annotated.coco import CocoAdapter
from adapters.sources.annotated.cvat import CvatAdapter
from adapters.sources.annotated.labelme import LabelmeAdapter
from adapters.sources.annotated.voc import VocAdapter
from adapters.sources.annotated.yolo import YoloAdapter

ADAPTERS = (CocoAdapter(), YoloAdapter(), VocAdapter(), LabelmeAdapter(), CvatAdapter())
