//! What many differences together say of the way in which the data was moved.
