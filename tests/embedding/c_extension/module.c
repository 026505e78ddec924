/* A C extension that finds the C core at run time through its capsule: headers only, nothing is linked. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <latentcore/api.h>

static const lc_api *api;

/* logsumexp(x): of the bytes of an array of doubles. */
static PyObject *logsumexp(PyObject *self, PyObject *argument) {
  Py_buffer x;
  double out;
  (void)self;
  if (PyObject_GetBuffer(argument, &x, PyBUF_C_CONTIGUOUS) < 0) return NULL;
  ptrdiff_t k = x.len / (ptrdiff_t)sizeof(double);
  void *work = PyMem_Malloc(api->logspace_work_f64(k));
  lc_status status = work ? api->logsumexp_f64(1, k, x.buf, k, &out, work) : LC_OK;
  PyBuffer_Release(&x);
  if (work == NULL) return PyErr_NoMemory();
  PyMem_Free(work);
  if (status != LC_OK) {
    PyErr_SetString(PyExc_ValueError, api->status_message(status));
    return NULL;
  }
  return PyFloat_FromDouble(out);
}

static PyMethodDef methods[] = {{"logsumexp", logsumexp, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "capsule_user", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_capsule_user(void) {
  api = PyCapsule_Import(LC_API_CAPSULE, 0);
  if (api == NULL) return NULL;
  if (api->abi != LC_API_ABI || api->size < sizeof(lc_api)) {
    PyErr_SetString(PyExc_ImportError, "latentcore: built against another version of its C interface");
    return NULL;
  }
  return PyModule_Create(&module);
}
