/* Whole numbers are the same or wrong. */
static int differs(int32_t found, int32_t right)
{
    return found != right;
}
