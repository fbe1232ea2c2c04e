/* cortex_m.c - a network on an emulated Cortex-M3: images come from a file of the host's, answers go to its console.
 * Built by emulated.py. Nothing of a C library is linked: what the compiler calls by itself stands below. */
#include <stddef.h>

#include "student.h"

extern uint32_t data_in_flash, data_start, data_end, bss_start, bss_end, stack_top;

void reset(void);
int main(void);
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

__attribute__((section(".vectors"), used)) static void (*const vectors[2])(void) = {
    (void (*)(void))&stack_top, reset,
};

/* Ask the emulator: semihosting, ARM's convention for targets that borrow the host's files. */
static int32_t host(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void say(const char *text)
{
    host(0x04, text); /* SYS_WRITE0 */
}

static void say_number(int32_t number)
{
    char digits[12], *at = digits + 11;
    uint32_t left = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    *at = '\0';
    do *--at = (char)('0' + left % 10); while (left /= 10);
    if (number < 0) *--at = '-';
    say(at);
}

#define SYSTICK ((volatile uint32_t *)0xE000E010) /* control, reload, current */

static uint32_t ticks_since(uint32_t start)
{
    return (start - SYSTICK[2]) & 0xFFFFFF; /* it counts down */
}

static const uint8_t *const PAINTED = (const uint8_t *)&bss_end;

static void paint_stack(void)
{
    uint8_t *at = (uint8_t *)&bss_end, *here = (uint8_t *)__builtin_frame_address(0) - 64;
    while (at < here) *at++ = 0xA5;
}

static int32_t stack_used(void)
{
    const uint8_t *at = PAINTED;
    while (*at == 0xA5) at++;
    return (int32_t)((const uint8_t *)&stack_top - at);
}

static uint8_t image[MINIKD_PIXELS];

static int32_t read_image(int32_t file)
{
    const int32_t block[3] = {file, (int32_t)(intptr_t)image, MINIKD_PIXELS};
    return host(0x06, block) == 0; /* SYS_READ returns how many bytes are missing */
}

int main(void)
{
    static const char name[] = "images.bin";
    const int32_t block[3] = {(int32_t)(intptr_t)name, 1, sizeof name - 1};
    NUMBER logits[MINIKD_CLASSES];
    int32_t file = host(0x01, block); /* SYS_OPEN, "rb" */
    int k;
    say("selftest\t");
    say_number(minikd_selftest());
    say("\n");
    SYSTICK[1] = 0xFFFFFF;
    SYSTICK[0] = 5; /* on, by the processor's clock */
    paint_stack();
    while (read_image(file)) {
        uint32_t start = SYSTICK[2], ticks;
        int found = minikd_predict(image, logits);
        ticks = ticks_since(start);
        say("image\t");
        say_number(found);
        for (k = 0; k < MINIKD_CLASSES; k++) {
            int32_t bits;
            memcpy(&bits, &logits[k], 4); /* a float's bits, or the sum */
            say("\t");
            say_number(bits);
        }
        say("\t");
        say_number((int32_t)ticks);
        say("\n");
    }
    say("stack\t");
    say_number(stack_used());
    say("\n");
    return 0;
}

void reset(void)
{
    uint32_t *from = &data_in_flash, *to = &data_start;
    while (to < &data_end) *to++ = *from++;
    for (to = &bss_start; to < &bss_end; to++) *to = 0;
    main();
    host(0x18, (void *)0x20026); /* SYS_EXIT: the application has ended */
}

void *memcpy(void *to, const void *from, size_t count)
{
    uint8_t *a = to;
    const uint8_t *b = from;
    while (count--) *a++ = *b++;
    return to;
}

void *memset(void *to, int value, size_t count)
{
    uint8_t *a = to;
    while (count--) *a++ = (uint8_t)value;
    return to;
}
