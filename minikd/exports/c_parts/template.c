/* $name.c - written by minikd $version. See $name.h. C99. */
#include "$name.h"
$math
/* How constants are kept in flash. Most machines need nothing. On AVR, avr-gcc -std=gnu99 -DMINIKD_FLASH=__flash. */
#ifndef MINIKD_FLASH
#define MINIKD_FLASH
#endif

$parts
$constants
int minikd_predict(const uint8_t image[MINIKD_PIXELS], $number logits[MINIKD_CLASSES])
{
$body
}

const char *minikd_class_name(int class_number)
{
    switch (class_number) {
$names
    default: return "";
    }
}

$tests
$hash_functions
$differs
int minikd_selftest(void)
{
    uint8_t image[MINIKD_PIXELS];
    $number logits[MINIKD_CLASSES];
    uint32_t i, hash = UINT32_C(0xFFFFFFFF);
    int n, k;
$word$hash_loops
    if ((hash ^ UINT32_C(0xFFFFFFFF)) != MINIKD_WEIGHTS_HASH) return 1;
    for (n = 0; n < $count; n++) {
        for (i = 0; i < MINIKD_PIXELS; i++) image[i] = test_images[(uint32_t)n * MINIKD_PIXELS + i];
        minikd_predict(image, logits);
        for (k = 0; k < MINIKD_CLASSES; k++)
            if (differs(logits[k], test_logits[n * MINIKD_CLASSES + k])) return 2 + n;
    }
    return 0;
}
