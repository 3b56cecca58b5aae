"""The codec of a language model's bundle: EnCodec, or our own."""

from collections.abc import Mapping

from engine.graphs.graph import Graph
from engine.models.encodec import codec as encodec
from engine.models.mdct_codec import codec as mdct_codec
from engine.protocols.codec import StreamingCodec

__all__ = ["codec_of"]


def codec_of(graphs: Mapping[str, Graph]) -> StreamingCodec:
    """The codec that a bundle's graphs are of.

    Raises:
        ManifestError: what the graphs say of themselves is missing or makes no sense.
    """
    own = mdct_codec.DECODER[0] in graphs
    roles = (*mdct_codec.DECODER, *mdct_codec.ENCODER) if own else (*encodec.DECODER, *encodec.ENCODER)
    parts = {role: graphs[role] for role in roles if role in graphs}
    return mdct_codec.MdctCoder(parts) if own else encodec.Codec(parts)
