# `from latentcore._core cimport api` gives the table of all C functions, without linking.
from latentcore._c cimport lc_api

cdef const lc_api *api
