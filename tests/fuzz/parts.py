"""All parts that networks are made of; each file enters its own in the table."""

import parts_around
import parts_attention
import parts_open
import parts_pieces
import parts_streams
import parts_sums
import parts_time
from part import PARTS, D, Part

__all__ = ["PARTS", "D", "Part"]

FILES = (parts_around, parts_attention, parts_open, parts_pieces, parts_streams, parts_sums, parts_time)
