"""Errors of models/.

ModelError
├── ConfigError         a configuration that describes no network
├── ControlError        a control, or a value of one, that the model does not have
├── CheckpointError     a checkpoint that is not what its card says
├── NativeArgumentError a tensor that the C++ code does not accept
├── NoCompilerError     the C++ code cannot be compiled here
└── NotFiniteError      NaN or infinity while a slice was sampled
"""


class ModelError(Exception):
    """Root of all errors that models/ raises on purpose."""


class ConfigError(ModelError):
    """A configuration that describes no network; the message says which field and what was expected."""


class ControlError(ModelError):
    """An unknown control or value; the message lists what there is."""


class NotFiniteError(ModelError):
    """NaN or infinity in the output of a network; the sampled values are void."""


class CheckpointError(ModelError):
    """A checkpoint that is missing, damaged or does not match its card; the message names the file and the difference."""


class NoCompilerError(ModelError):
    """No C++ compiler, or one that fails; the message has its output."""


class NativeArgumentError(ModelError):
    """A tensor that the C++ code misses, does not know, or needs in another size or dtype; the message names it."""
