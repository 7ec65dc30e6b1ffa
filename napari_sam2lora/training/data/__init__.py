"""What a training learns from: pairs of image and mask, the annotated region, snapshots."""
