/** Part of what Cornerstone draws with; it comes without types. */
declare module '@kitware/vtk.js/Rendering/OpenGL/Texture/supportsNorm16Linear' {
  /** Whether 16-bit textures can be smoothed: found out once, with a drawing context of its own. */
  export default function supportsNorm16Linear(): boolean;
}
