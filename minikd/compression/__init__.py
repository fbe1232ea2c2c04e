"""Training of small students: their weights are rounded or pruned during training.

straight_through   rounding, and the gradient that passes it
pruning            which weights stay, and how many at which step
layers             a dense layer, a convolution and a ReLU that round
network            from a student to one of these layers, and back
whole              a network that answers in whole numbers, as its export does
low_rank           a dense layer as two thin ones
job                what the main job does with all this
"""
