/* $name.h - written by minikd $version: $description.
 *
 * $network
 * An image is its raw pixels, 0 to 255: $layout.
 * Nothing is allocated, and nothing global changes: any number of threads may call at once.
 */
#ifndef MINIKD_H
#define MINIKD_H

#include <stdint.h>

#define MINIKD_PIXELS $pixels
#define MINIKD_CLASSES $classes
#define MINIKD_CONSTANT_BYTES $constant_bytes /* weights, biases, and all other constants of the network */
#define MINIKD_WORKING_BYTES $working_bytes /* the buffers of minikd_predict, on its stack */
#define MINIKD_WEIGHTS_HASH UINT32_C($hash) /* CRC-32, the lowest byte of each value first */
$logit_scale
#ifdef __cplusplus
extern "C" {
#endif

/* Return the class of an image, 0 to MINIKD_CLASSES - 1, and write the $logits. */
int minikd_predict(const uint8_t image[MINIKD_PIXELS], $number logits[MINIKD_CLASSES]);

/* Return the name of a class, in UTF-8. */
const char *minikd_class_name(int class_number);

/* Return 0 if the weights and the answers equal minikd's, 1 if the weights' hash differs, 2 + n if the answer to test
 * image n differs$tolerance. Needs MINIKD_PIXELS more bytes of stack. */
int minikd_selftest(void);

/* Compiled with -DMINIKD_SOFTMAX (and -lm): the probabilities at a temperature, 1 for the network's own. */
#ifdef MINIKD_SOFTMAX
void minikd_softmax(const $number logits[MINIKD_CLASSES], float temperature, float probabilities[MINIKD_CLASSES]);
#endif

#ifdef __cplusplus
}
#endif

#endif
