/* A thread-local of another library, compiled for each way in which code can reach one: the tests choose the flags.
 *
 * OTEL: otel_thread_ctx_v1 (OTEP 4947). LABELS: custom_labels_current_set with its version.
 * MODEL: a tls_model, where the compiler's own choice will not do. BULK: more thread-locals than a loader has static room for.
 */
#include <stdint.h>

#ifdef MODEL
#define REACHED __attribute__((tls_model(MODEL), visibility("default")))
#else
#define REACHED __attribute__((visibility("default")))
#endif

#ifdef BULK
__thread char bulk[65536];
char *touch(void) { return bulk; }
#endif

#ifdef LABELS
#define SLOT custom_labels_current_set
const uint32_t custom_labels_abi_version = LABELS;
#else
#define SLOT otel_thread_ctx_v1
#endif

/* What comes first in the block, so that the offset is not 0. */
__thread uint64_t before = 1;
REACHED __thread const void *SLOT = 0;

const void *slot_swap(const void *now) {
    const void *old = SLOT;
    before += 1;
    SLOT = now;
    return old;
}
