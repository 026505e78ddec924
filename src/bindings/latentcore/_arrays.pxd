# Checks at the border of the kernels. They cost some nanoseconds each; the messages are made only on failure.
cimport numpy as cnp

from latentcore._c cimport lc_status

cnp.import_array()

cdef inline object wrong_array(object a, str name, int n_dimensions):
    if not cnp.PyArray_Check(a):
        return TypeError(f"{name}: expected a NumPy array, got {type(a).__name__}")
    if a.ndim != n_dimensions:
        return ValueError(f"{name}: expected {n_dimensions} dimension(s), got shape {a.shape}")
    if not a.flags.c_contiguous:
        return ValueError(f"{name}: expected a C-contiguous array, got strides {a.strides}")
    if not a.flags.aligned:
        return ValueError(f"{name}: expected an aligned array, got one that is not")
    return ValueError(f"{name}: expected a writeable array, got a read-only one")

cdef inline object wrong_dtype(object a, str name, str expected):
    return TypeError(f"{name}: expected {expected} in native byte order, got {a.dtype.str}")

cdef inline int check_layout(object a, str name, int n_dimensions, bint writeable) except -1:
    if (not cnp.PyArray_Check(a) or cnp.PyArray_NDIM(<cnp.ndarray>a) != n_dimensions
            or not cnp.PyArray_CHKFLAGS(<cnp.ndarray>a, cnp.NPY_ARRAY_CARRAY if writeable else cnp.NPY_ARRAY_CARRAY_RO)):
        raise wrong_array(a, name, n_dimensions)
    return 0

# float32 or float64, whose number it returns.
cdef inline int check_real(object a, str name, int n_dimensions, bint writeable=False) except -1:
    check_layout(a, name, n_dimensions, writeable)
    cdef int dtype = cnp.PyArray_TYPE(<cnp.ndarray>a)
    if dtype != cnp.NPY_FLOAT64 and dtype != cnp.NPY_FLOAT32 or not cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>a):
        raise wrong_dtype(a, name, "float32 or float64")
    return dtype

cdef inline int check_dtype(object a, str name, int n_dimensions, int dtype, str dtype_name, bint writeable=False) except -1:
    check_layout(a, name, n_dimensions, writeable)
    if cnp.PyArray_TYPE(<cnp.ndarray>a) != dtype or not cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>a):
        raise wrong_dtype(a, name, dtype_name)
    return 0

cdef inline int check_double(object a, str name, int n_dimensions, bint writeable=False) except -1:
    return check_dtype(a, name, n_dimensions, cnp.NPY_FLOAT64, "float64", writeable)

cdef inline int check_like(object a, str name, int n_dimensions, int dtype, bint writeable=False) except -1:
    return check_dtype(a, name, n_dimensions, dtype, "float64" if dtype == cnp.NPY_FLOAT64 else "float32", writeable)

cdef inline object wrong_shape(object a, str name, tuple expected):
    return ValueError(f"{name}: expected shape {expected}, got {a.shape}")

cdef inline int check_shape1(object a, str name, Py_ssize_t n) except -1:
    if cnp.PyArray_DIM(<cnp.ndarray>a, 0) != n:
        raise wrong_shape(a, name, (n,))
    return 0

cdef inline int check_shape2(object a, str name, Py_ssize_t n, Py_ssize_t m) except -1:
    if cnp.PyArray_DIM(<cnp.ndarray>a, 0) != n or cnp.PyArray_DIM(<cnp.ndarray>a, 1) != m:
        raise wrong_shape(a, name, (n, m))
    return 0

cdef inline int check_shape3(object a, str name, Py_ssize_t n, Py_ssize_t m, Py_ssize_t l) except -1:
    if (cnp.PyArray_DIM(<cnp.ndarray>a, 0) != n or cnp.PyArray_DIM(<cnp.ndarray>a, 1) != m
            or cnp.PyArray_DIM(<cnp.ndarray>a, 2) != l):
        raise wrong_shape(a, name, (n, m, l))
    return 0

cdef inline void *data(object a) noexcept:
    return cnp.PyArray_DATA(<cnp.ndarray>a)

# Known components of n rows: int32, below k.
cdef inline int check_labels(object labels, Py_ssize_t n, Py_ssize_t k) except -1:
    cdef Py_ssize_t i
    cdef int most = -1
    check_dtype(labels, "labels", 1, cnp.NPY_INT32, "int32")
    check_shape1(labels, "labels", n)
    cdef const int *label = <const int *>data(labels)
    with nogil:
        for i in range(n):
            most = max(most, label[i])
    if most >= k:
        raise ValueError(f"labels: expected labels below the number of components, {k}, got {most}")
    return 0

cdef inline object new(int n_dimensions, Py_ssize_t n, Py_ssize_t m, Py_ssize_t l, int dtype):
    cdef cnp.npy_intp[3] shape
    shape[0], shape[1], shape[2] = n, m, l
    return cnp.PyArray_EMPTY(n_dimensions, shape, dtype, 0)

cdef inline object new_zeros(int n_dimensions, Py_ssize_t n, Py_ssize_t m, Py_ssize_t l):
    cdef cnp.npy_intp[3] shape
    shape[0], shape[1], shape[2] = n, m, l
    return cnp.PyArray_ZEROS(n_dimensions, shape, cnp.NPY_FLOAT64, 0)

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif

    /* Large ones in large pages, as NumPy does: small ones take longer to be handed out than to be filled. */
    static inline void *lc_new_workspace(size_t size) {
      void *p = malloc(size);
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
      if (p && size >= ((size_t)1 << 22)) {
        uintptr_t begin = ((uintptr_t)p + 4095) & ~(uintptr_t)4095, end = ((uintptr_t)p + size) & ~(uintptr_t)4095;
        madvise((void *)begin, end - begin, MADV_HUGEPAGE);
      }
    #endif
      return p;
    }
    """
    void *lc_new_workspace(size_t size) nogil

cdef inline void *workspace(size_t size) except NULL:
    cdef void *p = lc_new_workspace(size)
    if p == NULL:
        raise MemoryError(f"a workspace of {size} bytes")
    return p

# Any number of dimensions; returns the dtype.
cdef inline int check_any_real(object x) except -1:
    if not cnp.PyArray_Check(x):
        raise TypeError(f"x: expected a NumPy array, got {type(x).__name__}")
    return check_real(x, "x", cnp.PyArray_NDIM(<cnp.ndarray>x))

# `out`, which has to be like x, or a new array.
cdef inline object out_like(object x, object out, str name, int dtype):
    cdef int n_dimensions = cnp.PyArray_NDIM(<cnp.ndarray>x)
    if out is None:
        return cnp.PyArray_EMPTY(n_dimensions, cnp.PyArray_DIMS(<cnp.ndarray>x), dtype, 0)
    check_like(out, name, n_dimensions, dtype, True)
    if not cnp.PyArray_SAMESHAPE(<cnp.ndarray>x, <cnp.ndarray>out):
        raise wrong_shape(out, name, x.shape)
    return out

ctypedef lc_status (*elementwise_f64)(Py_ssize_t, const double *, double *) noexcept nogil
ctypedef lc_status (*elementwise_f32)(Py_ssize_t, const float *, float *) noexcept nogil

# A function of each element of x.
cdef inline object elementwise(object x, object out, elementwise_f64 f64, elementwise_f32 f32):
    cdef int dtype = check_any_real(x)
    out = out_like(x, out, "out", dtype)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(<cnp.ndarray>x)
    cdef void *source = data(x)
    cdef void *target = data(out)
    with nogil:
        if dtype == cnp.NPY_FLOAT64:
            f64(n, <double *>source, <double *>target)
        else:
            f32(n, <float *>source, <float *>target)
    return out
