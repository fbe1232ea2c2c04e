/* The last dense layer: its sums are the logits. Its weights are stored as $kind. */
static void linear_last_$kind(const uint8_t *x, uint32_t inputs, uint32_t outputs, const MINIKD_FLASH uint8_t *weight,
                              const MINIKD_FLASH int32_t *bias, int32_t *y)
{
    uint32_t o;
    for (o = 0; o < outputs; o++) y[o] = sum_$kind(x, inputs, &weight, bias[o]);
}
