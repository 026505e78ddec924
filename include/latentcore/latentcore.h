/* The whole C interface. Each header is the manual of its subject. */
#ifndef LATENTCORE_H
#define LATENTCORE_H

#include "latentcore/components.h"
#include "latentcore/gaussian.h"
#include "latentcore/hmm.h"
#include "latentcore/kmeans.h"
#include "latentcore/linalg.h"
#include "latentcore/logspace.h"
#include "latentcore/mixture.h"
#include "latentcore/special.h"
#include "latentcore/status.h"

#endif
