package import BTreeKV
package import Pager
import TestSupport
import Vectors

/// Says whether a file is whole.
package enum CrashCheck {
  /// Opens an image, verifies it, and gives its content.
  package static func content(
    of storage: some Storage, _ options: Database.Options
  ) throws -> (digest: ContentDigest, database: Database) {
    let database = try Database.open(
      storage: storage, options: options, hasBackgroundThreads: false)
    try requireSound(database, "after opening")
    // Each is what it was at its stamps, too.
    for vector in try database.vectors() { _ = try VectorModel(vector.name, of: database) }
    return (try ContentDigest(of: database), database)
  }
}
