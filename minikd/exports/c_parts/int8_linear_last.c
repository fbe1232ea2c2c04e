/* The last dense layer: its sums are the logits. */
static void linear_last(const uint8_t *x, uint32_t inputs, uint32_t outputs, const MINIKD_FLASH int8_t *weight,
                        const MINIKD_FLASH int32_t *bias, int32_t *y)
{
    uint32_t o;
    for (o = 0; o < outputs; o++) y[o] = linear_sum(x, inputs, weight + o * inputs, bias[o]);
}
