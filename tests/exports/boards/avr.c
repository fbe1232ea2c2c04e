/* avr.c - a network on an emulated ATmega328P: it checks itself and counts its clock, and tells by its serial port. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "student.h"

static void say(const char *text)
{
    while (*text) {
        while (!(UCSR0A & (1 << UDRE0))) {}
        UDR0 = (uint8_t)*text++;
    }
}

static void say_number(uint32_t number)
{
    char digits[12], *at = digits + 11;
    *at = '\0';
    do *--at = (char)('0' + number % 10); while (number /= 10);
    say(at);
}

extern uint8_t __bss_end;

static void paint_stack(void)
{
    uint8_t *at = &__bss_end, *here = (uint8_t *)SP - 32;
    while (at < here) *at++ = 0xA5;
}

static uint16_t stack_used(void)
{
    const uint8_t *at = &__bss_end;
    while (*at == 0xA5) at++;
    return (uint16_t)(RAMEND + 1 - (uint16_t)at);
}

int main(void)
{
    uint16_t clock;
    int failed;
    UCSR0B = 1 << TXEN0;
    paint_stack();
    failed = minikd_selftest();
    say("selftest ");
    say_number((uint32_t)failed);
    say(" stack ");
    say_number(stack_used());
    {
        static uint8_t image[MINIKD_PIXELS]; /* black: the loops do not depend on the pixels */
        int32_t logits[MINIKD_CLASSES];
        TCCR1B = 5; /* timer 1 counts every 1,024th clock */
        TCNT1 = 0;
        minikd_predict(image, logits);
        clock = TCNT1;
        say(" clocks ");
        say_number((uint32_t)clock * 1024u);
        say("\n");
    }
    cli();
    sleep_mode(); /* asleep without interrupts: the emulator ends */
    return 0;
}
