/* A dense layer with its ReLU; its weights are stored as $kind. */
static void linear_$kind(const uint8_t *x, uint32_t inputs, uint32_t outputs, const MINIKD_FLASH uint8_t *weight,
                         const MINIKD_FLASH int32_t *bias, const MINIKD_FLASH uint8_t *shift, uint8_t *y)
{
    uint32_t o;
    for (o = 0; o < outputs; o++) y[o] = requantized(sum_$kind(x, inputs, &weight, bias[o]), shift[o]);
}
