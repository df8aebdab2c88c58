"""What can go wrong in models/.

ModelError
├── ConfigError         a configuration that describes no network
├── ControlError        a control, or a value of one, that the model does not have
├── CheckpointError     a checkpoint that is not what its card says
├── NativeArgumentError a tensor that the sampler's C++ code does not expect
├── NoCompilerError     the sampler's C++ code cannot be compiled here
└── NotFiniteError      a slice in whose drawing the numbers ran over
"""


class ModelError(Exception):
    """Root of all errors that models/ raises on purpose."""


class ConfigError(ModelError):
    """A configuration that describes no network; the message says which field and what was expected."""


class ControlError(ModelError):
    """An unknown control or value; the message lists what there is."""


class NotFiniteError(ModelError):
    """An infinity or no number at all where a network's value should be; what was drawn with it is void."""


class CheckpointError(ModelError):
    """A missing, damaged or foreign checkpoint; the message names the file and the difference."""


class NoCompilerError(ModelError):
    """No C++ compiler, or one that fails; the message has what it said."""


class NativeArgumentError(ModelError):
    """A tensor that the C++ code misses, does not know, or expects in another size or dtype; the message names it."""
