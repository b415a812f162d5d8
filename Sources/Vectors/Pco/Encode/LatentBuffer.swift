/// Memory for latents, freed with the object.
final class LatentBuffer<Value: Latent> {
  let count: Int
  let values: UnsafeMutablePointer<Value>

  /// Memory for so many latents, not initialized.
  init(count: Int) {
    self.count = count
    values = .allocate(capacity: max(count, 1))
  }

  deinit { values.deallocate() }
}
