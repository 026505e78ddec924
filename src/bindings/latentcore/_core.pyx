"""The C library itself: its version, its instruction set, and its table of functions."""

from cpython.pycapsule cimport PyCapsule_New

from latentcore._c cimport LC_API_CAPSULE, LC_OK, lc_api, lc_get_api, lc_isa_available, lc_isa_force

cdef const lc_api *api = lc_get_api()

# for C extensions: PyCapsule_Import("latentcore._core.api", 0)
globals()["api"] = PyCapsule_New(<void *>lc_get_api(), LC_API_CAPSULE, NULL)

if api.isa() == NULL:
    raise ImportError(
        "LATENTCORE_ISA: expected an instruction set that this processor has ('base', 'v3' or 'v4'), "
        "got another; unset it to use the best one"
    )


def version():
    """Version of the C library."""
    return api.version().decode()


def isa():
    """The instruction set in use: 'base', 'v3' (AVX2 and FMA) or 'v4' (AVX-512)."""
    return api.isa().decode()


def isa_available(str name):
    """Whether this build and this processor can run the named instruction set."""
    return bool(lc_isa_available(name.encode()))


def isa_force(str name):
    """Use the named instruction set from now on, in the whole process; for tests and measurements.

    Raises
    ------
    ValueError
        The name is unknown, or the processor lacks it.
    """
    if lc_isa_force(name.encode()) != LC_OK:
        raise ValueError(f"name: expected an instruction set that this processor has, got {name!r}")
