/* Each channel's mean. */
static void global_avg_pool2d(const float *x, uint32_t channels, uint32_t area, float *y)
{
    uint32_t c, i;
    for (c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (i = 0; i < area; i++) sum += *x++;
        y[c] = sum / (float)area;
    }
}
