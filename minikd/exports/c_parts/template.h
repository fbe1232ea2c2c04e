/* $name.h - written by minikd $version: $description.
 *
 * $network
 * An image is its raw pixels, 0 to 255: $layout.
 * Nothing is allocated, and nothing global changes: any number of threads may ask at once.
 */
#ifndef MINIKD_H
#define MINIKD_H

#include <stdint.h>

#define MINIKD_PIXELS $pixels
#define MINIKD_CLASSES $classes
#define MINIKD_CONSTANT_BYTES $constant_bytes /* weights and all that belongs to them */
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

/* Return 0 where the weights and the answers are minikd's; 1 where the weights' hash differs, 2 or more where the answer
 * to test image 0 or more does$tolerance. Takes MINIKD_PIXELS bytes of stack besides. */
int minikd_selftest(void);

/* Compiled with -DMINIKD_SOFTMAX (and -lm): the probabilities at a temperature, 1 for the network's own. */
#ifdef MINIKD_SOFTMAX
void minikd_softmax(const $number logits[MINIKD_CLASSES], float temperature, float probabilities[MINIKD_CLASSES]);
#endif

#ifdef __cplusplus
}
#endif

#endif
