/* A last convolution: its sums are the logits. Its weights are stored as $kind. */
static void conv2d_last_$kind(const uint8_t *x, const MINIKD_FLASH struct windows *w,
                              const MINIKD_FLASH uint8_t *weight, const MINIKD_FLASH int32_t *bias,
                              const MINIKD_FLASH uint8_t *border, int32_t *y)
{
    int32_t o, p, q;
    for (o = 0; o < w->outputs; o++)
        for (p = 0; p < w->rows; p++)
            for (q = 0; q < w->columns; q++) *y++ = conv2d_sum_$kind(x, w, weight, bias[o], border, o, p, q);
}
