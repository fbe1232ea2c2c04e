/* Windows that slide over an image. Its channels are stored one after another, each row by row. */
struct windows {
    int32_t channels, height, width; /* of the input */
    int32_t outputs, rows, columns;  /* of the output: its channels and size */
    int32_t kernel[2], stride[2], padding[2], dilation[2];
    int32_t groups;
};

/* Return the index in a plane of position (r, s) of window (p, q), or -1 in the padding. */
static int32_t pixel_of(const MINIKD_FLASH struct windows *w, int32_t p, int32_t q, int32_t r, int32_t s)
{
    int32_t row = p * w->stride[0] + r * w->dilation[0] - w->padding[0];
    int32_t column = q * w->stride[1] + s * w->dilation[1] - w->padding[1];
    if (row < 0 || row >= w->height || column < 0 || column >= w->width) return -1;
    return row * w->width + column;
}
