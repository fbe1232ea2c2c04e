/* main.c - minikd's example. Change it as you like: minikd does not overwrite a main.c with another first line.
 *
 *   cc -std=c99 -O2 main.c $name.c -o $name$libraries
 *   ./$name < images          raw pixels, $pixels bytes an image; each line: class, logits, class name, between tabs
 */
#include <stdio.h>

#include "$name.h"

int main(void)
{
    uint8_t image[MINIKD_PIXELS];
    $number logits[MINIKD_CLASSES];
    int k, failed = minikd_selftest();
    if (failed) {
        fprintf(stderr, "minikd_selftest failed: %d\n", failed);
        return 1;
    }
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        int found = minikd_predict(image, logits);
        printf("%d", found);
        for (k = 0; k < MINIKD_CLASSES; k++) printf($format);
        printf("\t%s\n", minikd_class_name(found));
    }
    return 0;
}
