/* A dense layer with its ReLU. */
static void linear(const uint8_t *x, uint32_t inputs, uint32_t outputs, const MINIKD_FLASH int8_t *weight,
                   const MINIKD_FLASH int32_t *bias, const MINIKD_FLASH uint8_t *shift, uint8_t *y)
{
    uint32_t o;
    for (o = 0; o < outputs; o++) y[o] = requantized(linear_sum(x, inputs, weight + o * inputs, bias[o]), shift[o]);
}
