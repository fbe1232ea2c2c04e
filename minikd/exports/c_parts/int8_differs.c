/* Whole numbers must be equal. */
static int differs(int32_t found, int32_t right)
{
    return found != right;
}
