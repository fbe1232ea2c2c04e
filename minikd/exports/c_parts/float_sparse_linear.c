/* A dense layer that lists only the weights that are not 0. In `gaps`, each row begins with their number, in two bytes.
 * Then follows, for each of them, the number of inputs to skip before it. */
static void sparse_linear(const float *x, uint32_t inputs, uint32_t outputs, const MINIKD_FLASH float *weight,
                          const MINIKD_FLASH uint8_t *gaps, const MINIKD_FLASH float *bias, float *y)
{
    uint32_t o;
    (void)inputs;
    for (o = 0; o < outputs; o++) {
        const float *seen = x;
        uint16_t n, count = (uint16_t)(gaps[0] | gaps[1] << 8);
        float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        gaps += 2;
        for (n = 0; n < count; n++) {
            seen += *gaps++;
            sum[n & 3u] += *weight++ * *seen++;
        }
        y[o] = (sum[0] + sum[1]) + (sum[2] + sum[3]) + bias[o];
    }
}
