"""The C++ structs that Python fills, field by field; ``_library`` compares them with the code's."""

import ctypes


class Map(ctypes.Structure):
    """See tile.h."""

    _fields_ = (
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("border", ctypes.c_int32),
        ("pitch", ctypes.c_int64),
    )

    @property
    def numbers(self) -> int:
        """How many there are in it, border included."""
        border = 2 * self.border
        return int((self.height + border) * (self.width + border) * self.pitch)


class Excitation(ctypes.Structure):
    """See excitation.h."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("activation", ctypes.c_int32),
        ("hard", ctypes.c_int32),
        ("reduce", ctypes.c_void_p),
        ("reduce_bias", ctypes.c_void_p),
        ("expand", ctypes.c_void_p),
        ("expand_bias", ctypes.c_void_p),
    )


class Convolution(ctypes.Structure):
    """See tile.h."""

    _fields_ = (
        ("kernel", ctypes.c_int32),
        ("stride", ctypes.c_int32),
        ("activation", ctypes.c_int32),
        ("merged", ctypes.c_int32),
        ("depthwise", ctypes.c_int32),
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("panels", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("starts", ctypes.c_void_p),
        ("excitation", ctypes.POINTER(Excitation)),
        ("variance_more", ctypes.c_double),
    )


class Stem(ctypes.Structure):
    """See stem.h."""

    _fields_ = (
        ("convolution", ctypes.POINTER(Convolution)),
        ("image", Map),
        ("convolved", Map),
        ("out", Map),
        ("channels", ctypes.c_int32),
        ("max_pool", ctypes.c_int32),
        ("rounded", ctypes.c_int32),
        ("rounds", ctypes.c_int32),
        ("mean", ctypes.c_void_p),
        ("std", ctypes.c_void_p),
        ("scratch", ctypes.c_void_p),
    )


class Head(ctypes.Structure):
    """See head.h."""

    _fields_ = (
        ("linear", ctypes.POINTER(Convolution)),
        ("convolution", ctypes.POINTER(Convolution)),
        ("map", Map),
        ("convolved", Map),
        ("channels", ctypes.c_int32),
        ("rounded", ctypes.c_int32),
        ("scratch", ctypes.c_void_p),
    )


class Block(ctypes.Structure):
    """See block.h."""

    _fields_ = (
        ("paths", ctypes.c_int32),
        ("layers", ctypes.c_int32),
        ("convolutions", ctypes.POINTER(Convolution)),
        ("last", ctypes.POINTER(Convolution)),
        ("last_bias", ctypes.c_void_p),
        ("maps", ctypes.POINTER(Map)),
        ("offsets", ctypes.POINTER(ctypes.c_int64)),
        ("shortcut", ctypes.c_int32),
        ("activation", ctypes.c_int32),
        ("input_activated", ctypes.c_int32),
        ("projection", ctypes.POINTER(Convolution)),
        ("stride", ctypes.c_int32),
        ("channels_before", ctypes.c_int32),
        ("in_channels", ctypes.c_int32),
        ("out_channels", ctypes.c_int32),
        ("gated_channels", ctypes.c_int32),
        ("max_picked", ctypes.c_int32),
        ("rounded", ctypes.c_int32),
        ("rounds", ctypes.c_int32),
    )


class Choice(ctypes.Structure):
    """See block.h."""

    _fields_ = (
        ("on", ctypes.c_void_p),
        ("weight", ctypes.c_void_p),
        ("channel_on", ctypes.c_void_p),
        ("channel_weight", ctypes.c_void_p),
    )


class Router(ctypes.Structure):
    """See decide.h."""

    _fields_ = (
        ("align", ctypes.POINTER(Convolution)),
        ("mix", ctypes.POINTER(Convolution)),
        ("history", ctypes.POINTER(Convolution)),
        ("earlier", ctypes.c_int32),
        ("decays", ctypes.c_void_p),
    )


class Gate(ctypes.Structure):
    """See decide.h."""

    _fields_ = (
        ("head", ctypes.POINTER(Convolution)),
        ("paths", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("channel_group", ctypes.c_int32),
        ("clamps", ctypes.c_int32),
        ("decides_paths", ctypes.c_int32),
        ("keep_one", ctypes.c_int32),
        ("own_thresholds", ctypes.c_int32),
        ("threshold", ctypes.c_void_p),
    )


class Step(ctypes.Structure):
    """See network.cpp."""

    _fields_ = (
        ("block", ctypes.POINTER(Block)),
        ("router", ctypes.POINTER(Router)),
        ("gate", ctypes.POINTER(Gate)),
        ("scratch", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("in_map", ctypes.c_int32),
        ("out_map", ctypes.c_int32),
        ("pools", ctypes.c_int32),
        ("pooled", ctypes.c_int64),
        ("feature", ctypes.c_int64),
        ("on", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("earlier", ctypes.POINTER(ctypes.c_int64)),
    )


class Parts(ctypes.Structure):
    """See network.cpp."""

    _fields_ = (
        ("stem", ctypes.POINTER(Stem)),
        ("steps", ctypes.POINTER(Step)),
        ("count", ctypes.c_int64),
        ("head", ctypes.POINTER(Head)),
        ("team", ctypes.c_void_p),
    )


class Batch(ctypes.Structure):
    """See network.cpp."""

    _fields_ = (
        ("maps", ctypes.c_void_p),
        ("memory", ctypes.c_void_p),
        ("pooled_at", ctypes.c_int64),
        ("feature_at", ctypes.c_int64),
        ("weight_at", ctypes.c_int64),
        ("channel_weight_at", ctypes.c_int64),
        ("on_at", ctypes.c_int64),
        ("channel_on_at", ctypes.c_int64),
        ("scratch", ctypes.c_void_p),
        ("shared", ctypes.c_void_p),
        ("shared_size", ctypes.c_int64),
        ("averages", ctypes.c_void_p),
        ("images", ctypes.c_int32),
        ("forced", ctypes.c_int32),
    )


STRUCTS: tuple[type[ctypes.Structure], ...] = (
    Map,
    Convolution,
    Excitation,
    Stem,
    Head,
    Block,
    Choice,
    Router,
    Gate,
    Step,
    Parts,
    Batch,
)
